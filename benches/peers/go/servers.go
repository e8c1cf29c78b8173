package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
)

// How long a message of serve_echo and serve_churn is, and how much a server
// reads at once.
const (
	messageSize = 64
	bufferSize  = 1024
)

// A server is one row of the table. It serves until standard input is closed.
type server struct {
	name  string
	size  int // if none is asked for
	serve func(t task, listener net.Listener) error
}

var servers = []server{
	{"serve_echo", 1, serveEcho},
	{"serve_echo_loaded", 1, serveEchoLoaded},
	{"serve_http_raw", 1, serveHTTPRaw},
	{"serve_http_real", 1, serveHTTPReal},
	{"serve_churn", 1, serveChurn},
	{"serve_idle", 10_000, serveIdle},
}

func (s server) run(t task, port int) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	check(err)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	os.Stdout.WriteString("LISTEN " + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port) + "\n")
	check(s.serve(t, listener))
}

// serve has a goroutine for each connection.
func serve(listener net.Listener, handler func(net.Conn) error) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			// The client may be gone: its connection's end.
			handler(conn)
		}()
	}
}

// 19: tcp_echo

func echo(conn net.Conn) error {
	buffer := make([]byte, bufferSize)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return err
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return err
		}
	}
}

func serveEcho(t task, listener net.Listener) error {
	return serve(listener, echo)
}

// 24: io_under_load

// playForEver has two goroutines that never rest, for each processor.
func playForEver(procs int) {
	play := func(from, to chan struct{}) {
		for ball := range from {
			to <- ball
		}
	}
	for range procs {
		ping, pong := make(chan struct{}), make(chan struct{})
		go play(ping, pong)
		go play(pong, ping)
		ping <- struct{}{}
	}
}

func serveEchoLoaded(t task, listener net.Listener) error {
	playForEver(t.procs)
	return serve(listener, echo)
}

// 20: http_hello_raw

var (
	endOfRequest = []byte("\r\n\r\n")
	rawAnswer    = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" +
		"Content-Length: 13\r\n\r\nHello, World!")
)

// answer answers all requests that are complete in one write.
func answer(conn net.Conn) error {
	buffer := make([]byte, bufferSize)
	filled := 0
	var answers []byte
	for {
		n, err := conn.Read(buffer[filled:])
		if err != nil {
			return err
		}
		filled += n
		answers = answers[:0]
		done := 0
		for {
			end := bytes.Index(buffer[done:filled], endOfRequest)
			if end < 0 {
				break
			}
			done += end + len(endOfRequest)
			answers = append(answers, rawAnswer...)
		}
		filled = copy(buffer, buffer[done:filled])
		if _, err := conn.Write(answers); err != nil {
			return err
		}
	}
}

func serveHTTPRaw(t task, listener net.Listener) error {
	return serve(listener, answer)
}

// 20b: http_hello_real

func serveHTTPReal(t task, listener net.Listener) error {
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "Hello, World!")
	}))
}

// 21: conn_churn

func echoOnce(conn net.Conn) error {
	var message [messageSize]byte
	if _, err := io.ReadFull(conn, message[:]); err != nil {
		return err
	}
	_, err := conn.Write(message[:])
	return err
}

func serveChurn(t task, listener net.Listener) error {
	return serve(listener, echoOnce)
}

// 22: idle

func serveIdle(t task, listener net.Listener) error {
	never := make(chan struct{})
	for range t.n {
		go func() { <-never }()
	}
	return serve(listener, echo)
}

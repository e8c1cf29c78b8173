//! Two goroutines add to one variable: in Go, a data race.

fn main() {
    let mut count = 0;
    raddle::scope(|s| {
        s.go(|| count += 1);
        s.go(|| count += 1);
    });
    println!("{count}");
}

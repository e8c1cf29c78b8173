//! A field cannot be moved out of a borrowed `self`.

use raddle::go;

struct Server {
    name: String,
}

impl Server {
    fn start(&self) {
        go!(self.name.len());
    }
}

fn main() {
    Server { name: String::new() }.start();
}

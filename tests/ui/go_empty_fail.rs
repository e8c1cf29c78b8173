//! Nothing to run.

use raddle::go;

fn main() {
    go!();
    go! {}
}

//! Several mistakes are told at once.

mod a {
    #[raddle::main]
    const unsafe extern "C" fn main() {}
}

mod b {
    #[raddle::main]
    struct Main;
}

fn main() {}

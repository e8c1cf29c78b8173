//! What the macros accept without a warning, and what they say about what
//! they refuse. `TRYBUILD=overwrite cargo test -p raddle-trybuild` writes the
//! `.stderr` files anew: read the difference before keeping it.

#[test]
#[cfg_attr(
    not(debug_assertions),
    ignore = "the compiler says the same in both profiles"
)]
fn accepted() {
    let cases = trybuild::TestCases::new();
    for name in [
        "select_forms",
        "go_calls",
        "go_methods",
        "go_closures",
        "go_bodies",
        "main_plain",
        "main_result",
        "main_migrate",
        "main_other_name",
    ] {
        cases.pass(format!("tests/ui/{name}.rs"));
    }
}

#[test]
#[cfg_attr(
    not(debug_assertions),
    ignore = "the compiler says the same in both profiles"
)]
fn refused() {
    trybuild::TestCases::new().compile_fail("tests/ui/*_fail.rs");
}

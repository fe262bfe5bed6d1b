//! Watches the built web page, which is embedded when it is there. Cargo itself builds none of it: `make ui` does.

fn main() {
    // The folder is always there, as a missing one would have this crate built again each time.
    println!("cargo::rerun-if-changed=../ui/built");
}

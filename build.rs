//! How the program is linked: see docs/decisions/0010-start-of-the-program.md.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    // A program at a fixed address has nothing to relocate when it starts.
    println!("cargo:rustc-link-arg-bins=-Wl,--no-pie");
    if has_static_unwinder() {
        link_unwinder_in();
    }
}

/// Whether the C compiler that links has the unwinder as an archive: it gives the path of what it
/// has, and the mere name of what it has not.
fn has_static_unwinder() -> bool {
    let linker = std::env::var_os("RUSTC_LINKER").unwrap_or_else(|| OsString::from("cc"));
    let answer = Command::new(linker).arg("-print-file-name=libgcc_eh.a").output();
    answer.is_ok_and(|it| Path::new(String::from_utf8_lossy(&it.stdout).trim()).is_absolute())
}

/// The standard library asks for `libgcc_s`, one more library to load at each start: here that
/// name is a linker script, which asks for the archive instead.
fn link_unwinder_in() {
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    std::fs::write(folder.join("libgcc_s.so"), "INPUT(-lgcc_eh)\n").expect("cargo made the folder");
    println!("cargo:rustc-link-search=native={}", folder.display());
}

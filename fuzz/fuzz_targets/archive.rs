//! A packed chart of any bytes.
#![no_main]

use fitout::chart::load;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(files) = load::archive_files(bytes) {
        let _ = load::from_files(files);
    }
});

//! Which platform is this library built for, and what does its linker need to know?

fn main() {
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    // `cjm_versions` tells it; Cargo tells only build scripts.
    println!("cargo::rustc-env=CJM_TARGET={target}");
    println!("cargo::rerun-if-changed=build.rs");
    // Arrow arrays call back into the library when they are released, and a host may hold them longer than its handle
    // of the library: Python closes that before the last objects go. So the library stays once it is loaded.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}

//! Which platform is this library built for? Cargo tells only build scripts; `cjm_versions` passes it on.

fn main() {
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo::rustc-env=CJM_TARGET={target}");
    println!("cargo::rerun-if-changed=build.rs");
}

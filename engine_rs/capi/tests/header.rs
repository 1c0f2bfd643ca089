//! Is the committed C header what the code says? `CJM_BLESS=1 cargo test -p cjm-capi --test header` rewrites it.

use std::path::Path;
use std::{env, fs};

/// The header for C and C++: what maturin renders for cffi, in the frame that a compiler needs.
fn render(crate_dir: &Path) -> String {
    let mut config = cbindgen::Config::from_file(crate_dir.join("cbindgen.toml")).unwrap();
    config.header = Some(fs::read_to_string(crate_dir.join("preamble.h")).unwrap().trim_end().to_owned());
    config.include_guard = Some("PYCJM_H".to_owned());
    config.no_includes = true;
    config.sys_includes = vec!["stdint.h".to_owned()];
    config.cpp_compat = true;
    config.after_includes = Some(guarded(&config.after_includes.unwrap()));
    let bindings = cbindgen::Builder::new().with_crate(crate_dir).with_config(config).generate().unwrap();
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).unwrap()
}

/// Arrow's structs under the macros of their specification, so that two headers may both declare them.
fn guarded(structs: &str) -> String {
    let (data, stream) = structs.split_at(structs.find("struct ArrowArrayStream").unwrap());
    let block = |name: &str, body: &str| {
        format!(
            "#ifndef {name}\n#define {name}\n\n\
             #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n{}\n\n#ifdef __cplusplus\n}}\n#endif\n\n#endif  // {name}\n",
            body.trim()
        )
    };
    format!("\n{}\n{}", block("ARROW_C_DATA_INTERFACE", data), block("ARROW_C_STREAM_INTERFACE", stream))
}

#[test]
fn the_committed_header_is_the_rendered_one() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = crate_dir.join("../../pycjm/include/pycjm.h");
    let rendered = render(crate_dir);
    if env::var_os("CJM_BLESS").is_some() {
        fs::create_dir_all(committed.parent().unwrap()).unwrap();
        fs::write(&committed, &rendered).unwrap();
    }
    let found = fs::read_to_string(&committed).unwrap_or_default();
    let differs = rendered.lines().zip(found.lines()).find(|(new, old)| new != old);
    assert!(
        rendered == found,
        "pycjm/include/pycjm.h differs from the code, first at {differs:?}; \
         rewrite it with CJM_BLESS=1 cargo test -p cjm-capi --test header"
    );
}

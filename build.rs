//! Puts the site into the server: writes a table of the files of `target/site` for `src/server/assets.rs`.
//!
//! Where the site has not been built, as for tests and lints, the table is empty. `FILE.br` and `FILE.gz` beside `FILE` are its
//! compressed forms.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_SSR").is_none() {
        return Ok(());
    }
    let site = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("run by cargo")?).join("target/site");
    // A folder that is not there would make cargo build the server anew each time.
    fs::create_dir_all(&site)?;
    println!("cargo::rerun-if-changed={}", site.display());

    let table = table(&site)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("run by cargo")?).join("assets.rs");
    Ok(fs::write(out, table)?)
}

/// The source text of `BUILD`, `VERSION` and `FILES`.
fn table(site: &Path) -> Result<String> {
    let mut paths = Vec::new();
    collect(site, &mut paths)?;
    let mut names = Vec::new();
    for path in &paths {
        let name = path.strip_prefix(site)?.to_str().ok_or_else(|| format!("not UTF-8: {}", path.display()))?;
        names.push(name.replace('\\', "/"));
    }
    names.sort();

    let mut build = Hash::new();
    let mut rows = String::new();
    for name in &names {
        let is_compressed_form =
            [".br", ".gz"].iter().any(|form| name.strip_suffix(form).is_some_and(|plain| names.iter().any(|n| n == plain)));
        // Descriptions of types, which wasm-bindgen writes for other compilers, are not asked for.
        if is_compressed_form || name.ends_with(".d.ts") {
            continue;
        }
        let path = site.join(name).into_os_string().into_string().map_err(|path| format!("not UTF-8: {}", path.display()))?;
        let bytes = fs::read(&path)?;
        let mut hash = Hash::new();
        hash.add(&bytes);
        if name.starts_with("pkg/") {
            build.add(name.as_bytes());
            build.add(&bytes);
        }
        writeln!(
            rows,
            "    File {{ path: {name:?}, hash: \"{:016x}\", bytes: include_bytes!({path:?}), br: {}, gz: {} }},",
            hash.0,
            compressed(&path, "br", bytes.len())?,
            compressed(&path, "gz", bytes.len())?,
        )?;
    }
    let build = if names.iter().any(|name| name.starts_with("pkg/")) { format!("{:016x}", build.0) } else { "dev".to_owned() };
    let version = format!("{} (build {build})", env::var("CARGO_PKG_VERSION")?);
    Ok(format!(
        "const BUILD_OF_SITE: &str = {build:?};\nconst VERSION_AND_BUILD: &str = {version:?};\n\nstatic FILES: &[File] = &[\n{rows}];\n"
    ))
}

/// The compressed form of a file, where there is one and it is smaller.
fn compressed(path: &str, form: &str, plain_len: usize) -> Result<String> {
    let path = format!("{path}.{form}");
    match fs::metadata(&path) {
        Ok(data) if data.len() < u64::try_from(plain_len)? => Ok(format!("Some(include_bytes!({path:?}))")),
        Ok(_) => Ok("None".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok("None".to_owned()),
        Err(error) => Err(error.into()),
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// FNV-1a with 64 bits: the same in every build and on every machine, which the hasher of the standard library does not promise.
/// It tells versions of our own files apart; it need not withstand an attacker.
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a text, and its length so that two texts are told from their joined form.
    fn add(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

//! Image URLs: what one says, and whether this node may fetch from it. Pure but for reading a file's real path.
//! A node runs with rights that its users lack, so a URL that a user registered is not to be trusted:
//! nothing local is readable unless the administrator says so.

use std::path::{Path, PathBuf};

use super::ImageError;

/// The longest URL taken, in bytes.
const LONGEST: usize = 2048;

/// An image's URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where the bytes are.
    pub place: Place,
    /// The digest that the URL's fragment demands, lower-case hex.
    pub sha256: Option<String>,
}

/// Where an image's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file on this node.
    File(PathBuf),
    /// A web server.
    Http(http::Uri),
}

impl Source {
    /// Reads `file:///path` or `http://host[:port]/path[?query]`, either with `#sha256=HEX`.
    ///
    /// # Errors
    /// [`ImageError::BadUrl`], telling what is wrong.
    pub fn parse(url: &str) -> Result<Self, ImageError> {
        let bad = |problem: &str| ImageError::BadUrl { url: without_query(url), problem: problem.to_owned() };
        if url.len() > LONGEST {
            return Err(ImageError::BadUrl {
                url: url.chars().take(80).collect::<String>() + "...",
                problem: format!("longer than {LONGEST} bytes"),
            });
        }
        let (address, fragment) = match url.split_once('#') {
            Some((address, fragment)) => (address, Some(fragment)),
            None => (url, None),
        };
        let sha256 = match fragment {
            None => None,
            Some(fragment) => Some(
                digest_of(fragment).ok_or_else(|| bad("what follows # must be sha256= and 64 hexadecimal digits"))?,
            ),
        };
        let place = if let Some(rest) = address.strip_prefix("file://") {
            let path = rest.strip_prefix("localhost").filter(|path| path.starts_with('/')).unwrap_or(rest);
            if !path.starts_with('/') {
                return Err(bad("a file URL has three slashes and a full path: file:///directory/image"));
            }
            Place::File(
                unescape(path).ok_or_else(|| bad("a % must be followed by two hexadecimal digits, and not by 00"))?,
            )
        } else if address.starts_with("http://") {
            Place::Http(parse_http(address).map_err(|problem| bad(&problem))?)
        } else if address.starts_with("https://") {
            return Err(bad(
                "this node does not speak TLS; use http:// and pin the content with #sha256=HEX, or a file",
            ));
        } else {
            return Err(bad("an image URL begins with file:/// or http://"));
        };
        Ok(Self { place, sha256 })
    }

    /// The URL for people: without its query and digest.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.place {
            Place::File(path) => format!("file://{}", path.display()),
            Place::Http(uri) => without_query(&uri.to_string()),
        }
    }

    /// The whole address without the digest, for telling sources apart. Not for logs: see [`Source::shown`].
    #[must_use]
    pub fn identity(&self) -> String {
        match &self.place {
            Place::File(path) => format!("file://{}", path.display()),
            Place::Http(uri) => uri.to_string(),
        }
    }

    /// Compares what was fetched with what the URL demands, if it does.
    ///
    /// # Errors
    /// [`ImageError::Digest`] when they differ.
    pub fn check_digest(&self, actual: &str) -> Result<(), ImageError> {
        match &self.sha256 {
            Some(expected) if expected != actual => {
                Err(ImageError::Digest { url: self.shown(), expected: expected.clone(), actual: actual.to_owned() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn parse_http(address: &str) -> Result<http::Uri, String> {
    let uri: http::Uri = address.parse().map_err(|error| format!("not a URL: {error}"))?;
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("a URL must not carry a user name or password: everybody can read it".to_owned());
    }
    if authority.host().is_empty() {
        return Err("it names no host".to_owned());
    }
    Ok(uri)
}

/// A URL without query and fragment: a query may hold a signature.
fn without_query(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    // A password must not come back in the very message that refuses it.
    match (url[..end].find("://"), url[..end].rfind('@')) {
        (Some(scheme), Some(at)) if url.starts_with("http") && at > scheme => {
            format!("{}://...@{}", &url[..scheme], &url[at + 1..end])
        }
        _ => url[..end].to_owned(),
    }
}

fn digest_of(fragment: &str) -> Option<String> {
    let hex = fragment.strip_prefix("sha256=")?;
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| hex.to_ascii_lowercase())
}

fn unescape(path: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    (!bytes.contains(&0)).then(|| PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

/// Which URLs a node may fetch. The default is any `http` URL and no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowRules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// `http`: any web server.
    AnyHttp,
    /// `http://host[:port][/prefix]`: that server, below that path.
    Http { authority: String, prefix: String },
    /// `file:/dir`: files in that directory, as given and with symbolic links resolved.
    Directory(PathBuf),
}

impl Default for AllowRules {
    fn default() -> Self {
        Self(vec![Rule::AnyHttp])
    }
}

impl std::fmt::Display for AllowRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (index, rule) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match rule {
                Rule::AnyHttp => write!(f, "{comma}http")?,
                Rule::Http { authority, prefix } => write!(f, "{comma}http://{authority}{prefix}")?,
                Rule::Directory(dir) => write!(f, "{comma}file:{}", dir.display())?,
            }
        }
        Ok(())
    }
}

impl AllowRules {
    /// Reads rules as `nc.toml` has them under `[images] allow`: `http`, `http://host[:port][/prefix]`, `file:/dir`.
    ///
    /// # Errors
    /// One line naming the rule and what is right instead.
    pub fn parse<S: AsRef<str>>(rules: &[S]) -> Result<Self, String> {
        rules.iter().map(|rule| Rule::parse(rule.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the rules allow the URL as it is written. What a file really is, is checked by
    /// [`AllowRules::check_real_path`] once it is open.
    ///
    /// # Errors
    /// [`ImageError::NotAllowed`].
    pub fn check(&self, source: &Source) -> Result<(), ImageError> {
        let allowed = match &source.place {
            Place::Http(uri) => self.0.iter().any(|rule| rule.allows_http(uri)),
            // The path may run through symbolic links; only the real one tells.
            Place::File(_) => self.0.iter().any(|rule| matches!(rule, Rule::Directory(_))),
        };
        if allowed { Ok(()) } else { Err(self.refusal(source)) }
    }

    /// Whether the rules allow the file that was really opened.
    ///
    /// # Errors
    /// [`ImageError::NotAllowed`].
    pub fn check_real_path(&self, source: &Source, real: &Path) -> Result<(), ImageError> {
        if self.0.iter().any(|rule| rule.allows_file(real)) { Ok(()) } else { Err(self.refusal(source)) }
    }

    fn refusal(&self, source: &Source) -> ImageError {
        ImageError::NotAllowed { url: source.shown(), allowed: self.to_string() }
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("\"{text}\" is no rule: write \"http\", \"http://host[:port]/path\" or \"file:/directory\"");
        if text == "http" {
            return Ok(Self::AnyHttp);
        }
        if text.starts_with("http://") {
            let uri = parse_http(text).map_err(|_| wrong())?;
            let authority = uri.authority().ok_or_else(wrong)?.as_str().to_ascii_lowercase();
            return Ok(Self::Http { authority, prefix: uri.path().to_owned() });
        }
        let dir = text.strip_prefix("file:").ok_or_else(wrong)?;
        let dir = dir.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(dir);
        if dir.starts_with('/') { Ok(Self::Directory(PathBuf::from(dir))) } else { Err(wrong()) }
    }

    fn allows_http(&self, uri: &http::Uri) -> bool {
        match self {
            Self::AnyHttp => true,
            Self::Http { authority, prefix } => {
                let same = uri.authority().is_some_and(|given| given.as_str().eq_ignore_ascii_case(authority));
                let dots = uri
                    .path()
                    .split('/')
                    .any(|part| matches!(part, "." | "..") || part.to_ascii_lowercase().contains("%2e"));
                let below = uri
                    .path()
                    .strip_prefix(prefix.as_str())
                    .is_some_and(|rest| prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'));
                same && below && !dots
            }
            Self::Directory(_) => false,
        }
    }

    fn allows_file(&self, real: &Path) -> bool {
        match self {
            Self::AnyHttp | Self::Http { .. } => false,
            // The directory itself may be reached through a link (/var/run); one that is gone allows nothing.
            Self::Directory(dir) => std::fs::canonicalize(dir).is_ok_and(|dir| real.starts_with(dir)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let digest = "AB".repeat(32);
        let source = Source::parse(&format!("file:///a/b%20c#sha256={digest}")).unwrap();
        assert_eq!(source.place, Place::File("/a/b c".into()));
        assert_eq!(source.sha256, Some(digest.to_lowercase()));
        assert_eq!(Source::parse("file://localhost/a").unwrap().place, Place::File("/a".into()));
        assert!(matches!(Source::parse("http://host:8080/a?b=c").unwrap().place, Place::Http(_)));
    }

    #[test]
    fn bad_urls_are_told_why() {
        for (url, told) in [
            ("ftp://host/a", "file:/// or http://"),
            ("https://host/a", "TLS"),
            ("file://relative", "three slashes"),
            ("file:///a%0", "two hexadecimal digits"),
            ("file:///a%00b", "two hexadecimal digits"),
            ("file:///a#md5=00", "sha256="),
            ("http://user:secret@host/a", "password"),
            ("http:///a", "URL"),
            ("", "file:///"),
        ] {
            let error = Source::parse(url).unwrap_err().to_string();
            assert!(error.contains(told), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(Source::parse(&format!("http://h/{}", "a".repeat(4000))).is_err());
    }

    #[test]
    fn queries_are_not_shown() {
        let source = Source::parse("http://h/image?Signature=abc").unwrap();
        assert_eq!(source.shown(), "http://h/image");
        assert!(source.identity().contains("Signature"));
    }

    #[test]
    fn rules_allow_what_they_say() {
        let check =
            |rules: &[&str], url: &str| AllowRules::parse(rules).unwrap().check(&Source::parse(url).unwrap()).is_ok();
        assert!(check(&["http"], "http://anywhere/x"));
        assert!(!check(&["http"], "file:///x"));
        assert!(!check(&[], "http://anywhere/x"));
        assert!(check(&["http://Store:80/images"], "http://store:80/images/x"));
        assert!(check(&["http://store/"], "http://store/x"));
        assert!(!check(&["http://store/images"], "http://store/images2/x"));
        assert!(!check(&["http://store/images"], "http://store/images/../x"));
        assert!(!check(&["http://store/images"], "http://store/images/%2E%2e/x"));
        assert!(!check(&["http://store"], "http://store.evil/x"));
        for wrong in ["https", "file:relative", "/dir", "http://"] {
            assert!(AllowRules::parse(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn files_are_judged_by_their_real_path() {
        let dir = tempfile::tempdir().unwrap();
        let allowed = std::fs::canonicalize(dir.path()).unwrap().join("images");
        std::fs::create_dir(&allowed).unwrap();
        let rules = AllowRules::parse(&[format!("file:{}", allowed.display())]).unwrap();
        let source = Source::parse("file:///whatever").unwrap();
        assert!(rules.check_real_path(&source, &allowed.join("x")).is_ok());
        assert!(rules.check_real_path(&source, &allowed.with_file_name("images2").join("x")).is_err());
        assert!(rules.check_real_path(&source, Path::new("/etc/shadow")).is_err());
    }
}

//! Whether guests run on KVM or in QEMU's translator (TCG): the rule, pure, and the look at this machine.
//! Must not know libvirt.

use std::fmt;
use std::fs::{self, OpenOptions};

/// What the configuration's `hypervisor.kind` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    #[default]
    Auto,
    Kvm,
    Qemu,
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        match text {
            "auto" => Ok(Kind::Auto),
            "kvm" => Ok(Kind::Kvm),
            "qemu" => Ok(Kind::Qemu),
            other => Err(format!("{other:?} is not a kind of hypervisor; use \"auto\", \"kvm\" or \"qemu\"")),
        }
    }
}

/// What guests run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    Kvm,
    /// QEMU's translator: works everywhere, ten to fifty times as slow.
    Tcg,
}

/// A choice and a sentence that says why, for the log and for `DescribeNode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub accel: Accel,
    pub why: String,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.accel {
            Accel::Kvm => "kvm",
            Accel::Tcg => "qemu (TCG)",
        };
        write!(f, "{name} because {}", self.why)
    }
}

/// What was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// `Err` holds the system's reason why /dev/kvm does not open for reading and writing.
    pub kvm_device: Result<(), String>,
    /// The processor says `vmx` or `svm`.
    pub virtualization_flag: bool,
}

/// Looks at /dev/kvm and /proc/cpuinfo. The node must run as a user whose view of /dev/kvm is QEMU's: root, or the
/// user itself with the embedded driver.
pub fn look() -> Findings {
    let kvm_device = OpenOptions::new().read(true).write(true).open("/dev/kvm").map(drop).map_err(|e| e.to_string());
    let virtualization_flag = fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| has_flag(&text));
    Findings { kvm_device, virtualization_flag }
}

/// An opening /dev/kvm proves little: under some nested hypervisors it opens, a domain of type kvm starts, and no
/// ordinary kernel ever prints a line. Such machines do not show `vmx` or `svm`, so both are required.
pub fn choose(kind: Kind, found: &Findings) -> Choice {
    let choice = |accel, why: String| Choice { accel, why };
    match (kind, &found.kvm_device, found.virtualization_flag) {
        (Kind::Kvm, ..) => choice(Accel::Kvm, "the configuration says so".into()),
        (Kind::Qemu, ..) => choice(Accel::Tcg, "the configuration says so".into()),
        (Kind::Auto, Err(reason), _) => choice(Accel::Tcg, format!("/dev/kvm does not open ({reason})")),
        (Kind::Auto, Ok(()), false) => {
            choice(Accel::Tcg, "/dev/kvm opens but the processor shows neither vmx nor svm".into())
        }
        (Kind::Auto, Ok(()), true) => choice(Accel::Kvm, "/dev/kvm opens and the processor shows vmx or svm".into()),
    }
}

fn has_flag(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .flat_map(str::split_whitespace)
        .any(|word| word == "vmx" || word == "svm")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(device: bool, flag: bool) -> Findings {
        let kvm_device = if device { Ok(()) } else { Err("No such file or directory".to_owned()) };
        Findings { kvm_device, virtualization_flag: flag }
    }

    #[test]
    fn kvm_needs_the_device_and_the_processor() {
        let table = [
            (Kind::Auto, false, false, Accel::Tcg),
            (Kind::Auto, false, true, Accel::Tcg),
            (Kind::Auto, true, false, Accel::Tcg),
            (Kind::Auto, true, true, Accel::Kvm),
            (Kind::Kvm, false, false, Accel::Kvm),
            (Kind::Qemu, true, true, Accel::Tcg),
        ];
        for (kind, device, flag, expected) in table {
            assert_eq!(choose(kind, &found(device, flag)).accel, expected, "{kind:?} {device} {flag}");
        }
    }

    #[test]
    fn the_sentence_names_the_reason() {
        let said = choose(Kind::Auto, &found(true, false)).to_string();
        assert_eq!(said, "qemu (TCG) because /dev/kvm opens but the processor shows neither vmx nor svm");
    }

    #[test]
    fn flags_are_whole_words() {
        assert!(has_flag("flags\t\t: fpu vmx sse\n"));
        assert!(!has_flag("flags\t\t: fpu vmxish sse\nmodel name: svm\n"));
    }
}

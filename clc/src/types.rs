//! The instance types: Eucalyptus 2.0.1's five and their defaults.

/// A size of instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// `m1.small`.
    pub name: &'static str,
    /// Virtual cores.
    pub cores: u32,
    /// GB.
    pub disk_gb: u32,
    /// MB.
    pub memory_mb: u32,
}

/// Every size, smallest first: cores, disk and memory as 2.0.1 ships them.
pub const SIZES: [Size; 5] = [
    Size { name: "m1.small", cores: 1, disk_gb: 10, memory_mb: 128 },
    Size { name: "c1.medium", cores: 2, disk_gb: 10, memory_mb: 128 },
    Size { name: "m1.large", cores: 2, disk_gb: 10, memory_mb: 512 },
    Size { name: "m1.xlarge", cores: 2, disk_gb: 10, memory_mb: 1024 },
    Size { name: "c1.xlarge", cores: 4, disk_gb: 10, memory_mb: 2048 },
];

/// The size of that name.
pub fn size(name: &str) -> Option<Size> {
    SIZES.into_iter().find(|size| size.name == name)
}

//! Commands about images.

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{Call, Deed, filters, numbered, optional, tags};
use crate::output::columns;
use crate::tree::Element;

/// What an image is for.
#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    /// A root or whole disk, `emi-...`.
    Machine,
    /// A Linux kernel, `eki-...`.
    Kernel,
    /// An initial ramdisk, `eri-...`.
    Ramdisk,
}

#[derive(Args)]
pub struct Register {
    /// Where the nodes fetch it from: `http://...`, or `file:///...` on every node.
    location: String,
    /// Name of the image.
    #[arg(short, long)]
    name: String,
    /// What it is.
    #[arg(short, long)]
    description: Option<String>,
    /// x86_64 or i386.
    #[arg(short, long, default_value = "x86_64")]
    architecture: String,
    /// Kernel to boot it with; without one it boots by itself.
    #[arg(long)]
    kernel: Option<String>,
    /// Ramdisk to boot it with.
    #[arg(long)]
    ramdisk: Option<String>,
    /// What the file is.
    #[arg(long = "image-type", value_enum, default_value = "machine")]
    kind: Kind,
    /// SHA-256 of the file, in hex; nodes refuse anything else.
    #[arg(long)]
    sha256: Option<String>,
}

impl Register {
    pub fn call(self) -> Call {
        let kind = match self.kind {
            Kind::Machine => "machine",
            Kind::Kernel => "kernel",
            Kind::Ramdisk => "ramdisk",
        };
        let mut parameters = vec![
            ("ImageLocation".to_string(), self.location),
            ("Name".to_string(), self.name),
            ("Architecture".to_string(), self.architecture),
            ("ImageType".to_string(), kind.to_string()),
        ];
        parameters.extend(optional("Description", self.description));
        parameters.extend(optional("KernelId", self.kernel));
        parameters.extend(optional("RamdiskId", self.ramdisk));
        parameters.extend(optional("Sha256", self.sha256));
        Call { action: "RegisterImage", parameters, text: |answer| vec![columns(["IMAGE", answer.at("imageId")])] }
    }
}

#[derive(Args)]
pub struct Describe {
    /// Only these images.
    images: Vec<String>,
    /// Only images of this owner; `self` for your own.
    #[arg(short, long)]
    owner: Vec<String>,
    /// Only images that this account may run: `self`, or `all` for those that everybody may.
    #[arg(short = 'x', long, value_name = "ACCOUNT")]
    executable_by: Vec<String>,
    /// Everybody's images that you may see: what is shown anyway.
    #[arg(short, long, conflicts_with_all = ["images", "owner", "executable_by"])]
    all: bool,
    /// Only what fits; several of one name are alternatives.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

impl Describe {
    pub fn call(self) -> Result<Call> {
        let mut parameters = numbered("ImageId", self.images);
        parameters.extend(numbered("Owner", self.owner));
        parameters.extend(numbered("ExecutableBy", self.executable_by));
        parameters.extend(filters(&self.filters)?);
        Ok(Call {
            action: "DescribeImages",
            parameters,
            text: |answer| answer.items("imagesSet").flat_map(image).collect(),
        })
    }
}

/// An IMAGE line (columns of euca2ools 3.4) and its TAG lines.
fn image(image: &Element) -> Vec<String> {
    let access = if image.at("isPublic") == "true" { "public" } else { "private" };
    let name = match image.at("name") {
        "" => image.at("imageLocation").to_string(),
        name => format!("{}/{name}", image.at("imageOwnerId")),
    };
    let line = columns([
        "IMAGE",
        image.at("imageId"),
        &name,
        image.at("imageOwnerId"),
        image.at("imageState"),
        access,
        image.at("architecture"),
        image.at("imageType"),
        image.at("kernelId"),
        image.at("ramdiskId"),
        image.at("platform"),
        image.at("rootDeviceType"),
        image.at("virtualizationType"),
        image.at("hypervisor"),
    ]);
    let mut lines = vec![line.trim_end().to_string()];
    lines.extend(tags::lines("image", image.at("imageId"), image));
    lines
}

#[derive(Args)]
pub struct Deregister {
    /// The image, `emi-...`, `eki-...` or `eri-...`.
    image: String,
}

impl Deregister {
    pub fn deed(self) -> Deed {
        let lines = vec![columns(["IMAGE", &self.image])];
        Deed { action: "DeregisterImage", parameters: vec![("ImageId".to_string(), self.image)], lines }
    }
}

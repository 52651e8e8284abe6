//! The cloud controller: the EC2 API, the records, and forwarding to the clusters.

pub mod ec2;
pub mod error;
pub mod front;

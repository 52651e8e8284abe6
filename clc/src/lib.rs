//! The cloud controller: EC2's API in front, the records behind, the clusters below.
//!
//! Read in this order: [`routes`] (what is served), [`actions`] (what each action does),
//! [`lifecycle`] (what an instance's record means), [`launch`] (tells the clusters what is due),
//! [`refresh`] (asks them how it is), [`store`] (the records). [`front`] is the door, [`ec2`] the
//! words spoken there.

pub mod actions;
mod causes;
pub mod cloud;
pub mod clusters;
pub mod config;
pub mod convert;
pub mod credentials;
pub mod deadlines;
mod directory;
pub mod doctor;
pub mod ec2;
pub mod error;
pub mod files;
pub mod front;
mod hosts;
pub mod ids;
pub mod init;
pub mod launch;
pub mod lifecycle;
pub mod placement;
pub mod pool;
pub mod refresh;
pub mod role;
pub mod routes;
pub mod serve;
pub mod store;
pub mod tls;
pub mod types;
pub mod upkeep;

pub use causes::with_causes;
pub use cloud::Cloud;

//! The cluster controller: believes what its nodes report, places instances on them, and passes
//! requests on to the one node that can answer. Speaks `eucalyptus_cc.wsdl` upwards and
//! `eucalyptus_nc.wsdl` downwards; never links libvirt.
//!
//! Read in this order: [`routes`] (what is served), [`handlers`] (what each operation does),
//! [`cluster`] (what is believed, and who may change it), [`nodes`] (calling a node), [`refresh`]
//! (keeping the beliefs fresh). Who gets an instance: [`placing`], [`launch`], [`search`], [`sending`]. Pure decisions: [`place`],
//! [`budget`], [`cluster::merge`].

pub mod budget;
pub mod cluster;
pub mod config;
pub mod convert;
pub mod error;
pub mod fan;
pub mod handlers;
pub mod ids;
pub mod journal;
pub mod launch;
pub mod link;
pub mod locate;
pub mod network;
pub mod nodes;
pub mod place;
pub mod placing;
pub mod refresh;
pub mod registry;
pub mod routes;
pub mod search;
pub mod sending;

pub use cluster::{Cluster, Connect, Settings};
pub use routes::router;

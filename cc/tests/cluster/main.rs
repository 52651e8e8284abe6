//! The cluster controller from its door to its nodes: the real router, real XML, and nodes that
//! are scripted to answer, hang, refuse, lose their answers or fault. No network, no sleeping: time
//! is tokio's paused clock wherever waiting matters.

mod calls;
mod launches;
mod lifecycle;
mod placements;
mod refreshes;
mod scripted;

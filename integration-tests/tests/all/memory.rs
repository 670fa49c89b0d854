//! What strangers, and people with little, can make the processes keep: floods over real sockets, and the growth of the
//! process under each. The bounds are those of docs/BENCHMARKS.md.

mod control_plane;
mod gateway;

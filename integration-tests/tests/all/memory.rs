//! How much memory anonymous clients and users with few permissions can make the processes use: floods over real
//! sockets, and the growth of the process under each. The bounds are those of docs/BENCHMARKS.md.

mod control_plane;
mod gateway;

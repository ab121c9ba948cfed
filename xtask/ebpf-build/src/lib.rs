//! Finds a compiler and linker for eBPF and builds the data path.

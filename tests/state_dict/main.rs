//! Weights from safetensors files: PyTorch's own give PyTorch's numbers; everything wrong is named; nothing hostile
//! panics or makes the library allocate more than in proportion to the file.

mod allocator;
mod file;
mod hostile;
mod torch;
mod wrong;

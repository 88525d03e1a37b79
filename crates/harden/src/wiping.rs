//! An allocator that overwrites what is given back.
//!
//! Libraries copy what they work on: an HTTP library the head of a request with the credential in it, a decoder of PEM the text of a key. They
//! don't overwrite these copies. A process that takes its memory from here leaves none of them behind: whatever is freed, or moved because it
//! grows, is overwritten before anybody else can have it.
#![allow(unsafe_code, reason = "an allocator can't be written without it: each use has its reason beside it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

/// The system's allocator, and each block is overwritten before it is given back.
///
/// ```
/// #[global_allocator]
/// static MEMORY: keyblind_harden::Wiping = keyblind_harden::Wiping;
/// assert_eq!(format!("{:?}", vec![1, 2, 3]), "[1, 2, 3]");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Wiping;

/// Overwrites a block so that no compiler takes it for something that nobody will see.
///
/// # Safety
/// `block` is valid for writes of `length` bytes.
unsafe fn wipe(block: *mut u8, length: usize) {
    // SAFETY: the caller's promise is this one's.
    unsafe { block.write_bytes(0, length) };
    // Something unknown reads the block: what was written must be there.
    black_box(block);
}

// SAFETY: every block is the system allocator's, for the layout that it was asked with; what is written lies within blocks that are
// still ours.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is this one's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is this one's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was made for this layout and isn't used any more.
        unsafe {
            wipe(block, layout.size());
            System.dealloc(block, layout);
        }
    }

    /// The system would move a block and leave its bytes behind.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller has checked the size for this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the size isn't zero, by the caller's promise.
        let new = unsafe { System.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both are valid for that many bytes, and two blocks don't overlap. The old one isn't used after this.
            unsafe {
                new.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a block holds right before it goes back to the system, and that one which grows keeps its bytes.
    #[test]
    fn what_is_given_back_is_overwritten_first() {
        let layout = Layout::from_size_align(64, 8).unwrap();
        // SAFETY: the layout isn't empty; blocks are used within their sizes and given back once with their layouts.
        unsafe {
            let block = Wiping.alloc(layout);
            block.write_bytes(7, 64);
            let larger = Wiping.realloc(block, layout, 4096);
            assert!((0..64).all(|at| *larger.add(at) == 7));
            let smaller = Wiping.realloc(larger, Layout::from_size_align(4096, 8).unwrap(), 16);
            assert!((0..16).all(|at| *smaller.add(at) == 7));
            wipe(smaller, 16);
            assert!((0..16).all(|at| *smaller.add(at) == 0));
            Wiping.dealloc(smaller, Layout::from_size_align(16, 8).unwrap());
            let zeroed = Wiping.alloc_zeroed(layout);
            assert!((0..64).all(|at| *zeroed.add(at) == 0));
            Wiping.dealloc(zeroed, layout);
        }
    }
}

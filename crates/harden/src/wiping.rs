//! An allocator that overwrites what is given back.
//!
//! Libraries copy what they work on: an HTTP library the head of a request with the credential in it, a decoder of PEM the text of a key. They
//! don't overwrite these copies. A process that takes its memory from here leaves none of them behind: whatever is freed, or moved because it
//! grows, is overwritten before anybody else can have it.
#![allow(unsafe_code, reason = "an allocator can't be written without it: each use has its reason beside it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

/// An allocator, the system's if no other is named, and each block is overwritten before it is given back to it.
///
/// ```
/// #[global_allocator]
/// static MEMORY: keyblind_harden::Wiping = keyblind_harden::Wiping::of_the_system();
/// assert_eq!(format!("{:?}", vec![1, 2, 3]), "[1, 2, 3]");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Wiping<A = System>(A);

impl Wiping {
    /// The system's allocator.
    #[must_use]
    pub const fn of_the_system() -> Self {
        Self(System)
    }
}

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

// SAFETY: every block is the inner allocator's, for the layout that it was asked with; what is written lies within blocks that are
// still ours.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is this one's.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is this one's.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was made for this layout and isn't used any more.
        unsafe {
            wipe(block, layout.size());
            self.0.dealloc(block, layout);
        }
    }

    /// The inner allocator would move a block and leave its bytes behind.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller has checked the size for this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the size isn't zero, by the caller's promise.
        let new = unsafe { self.0.alloc(wanted) };
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// The system's allocator, which looks at what it is given back.
    #[derive(Default)]
    struct Watching {
        blocks: AtomicUsize,
        with_something_in_them: AtomicUsize,
    }

    // SAFETY: every block is the system allocator's.
    unsafe impl GlobalAlloc for Watching {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promise is this one's.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the block is valid for its layout until it is given back below; whoever gave it back wrote all of it.
            let is_empty = unsafe { std::slice::from_raw_parts(block, layout.size()) }.iter().all(|byte| *byte == 0);
            self.blocks.fetch_add(1, Ordering::Relaxed);
            self.with_something_in_them.fetch_add(usize::from(!is_empty), Ordering::Relaxed);
            // SAFETY: the caller's promise is this one's.
            unsafe { System.dealloc(block, layout) };
        }
    }

    /// Gives back three blocks that were written: two because they moved.
    fn use_it(allocator: &impl GlobalAlloc) {
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        // SAFETY: the layouts aren't empty; blocks are written and read within their sizes, and given back once with their layouts.
        unsafe {
            let block = allocator.alloc(layout(64));
            block.write_bytes(7, 64);
            let larger = allocator.realloc(block, layout(64), 4096);
            assert!((0..64).all(|at| *larger.add(at) == 7), "a block that grows keeps its bytes");
            larger.add(64).write_bytes(8, 4096 - 64);
            let smaller = allocator.realloc(larger, layout(4096), 16);
            assert!((0..16).all(|at| *smaller.add(at) == 7), "and one that shrinks");
            allocator.dealloc(smaller, layout(16));
        }
    }

    #[test]
    fn what_is_given_back_is_overwritten_first() {
        let wiping = Wiping(Watching::default());
        use_it(&wiping);
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        assert_eq!((count(&wiping.0.blocks), count(&wiping.0.with_something_in_them)), (3, 0));
        // Without it, there is something to be seen.
        let watching = Watching::default();
        use_it(&watching);
        assert_eq!((count(&watching.blocks), count(&watching.with_something_in_them)), (3, 3));
    }
}

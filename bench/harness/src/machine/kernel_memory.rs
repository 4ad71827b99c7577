//! The kernel's own memory that connections use: not part of any process.

use std::fs;

use bench_data::trial::KernelMemory;

/// The kernel's memory on the whole machine; `None` if the kernel does not report it.
pub(crate) fn now() -> Option<KernelMemory> {
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    let sockets = fs::read_to_string("/proc/net/sockstat").ok();
    let page_bytes = i64::try_from(procfs::page_size()).ok()?;
    parse(&memory, sockets.as_deref().unwrap_or_default(), page_bytes)
}

fn parse(memory: &str, sockets: &str, page_bytes: i64) -> Option<KernelMemory> {
    let kibibytes = |name: &str| -> Option<i64> {
        let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.split_whitespace().next()?.parse::<i64>().ok()? * 1024)
    };
    Some(KernelMemory {
        slab_bytes: kibibytes("Slab")?,
        stack_bytes: kibibytes("KernelStack")?,
        page_table_bytes: kibibytes("PageTables")?,
        socket_bytes: tcp_pages(sockets).map(|pages| pages * page_bytes),
    })
}

/// Pages of the buffers of all TCP sockets.
fn tcp_pages(sockets: &str) -> Option<i64> {
    let line = sockets.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = line.split_whitespace();
    words.find(|word| *word == "mem")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_names() {
        let memory = "MemTotal: 9 kB\nSlab:   100 kB\nKernelStack: 16 kB\nPageTables: 8 kB\nSecPageTables: 1 kB\n";
        let sockets =
            "sockets: used 25\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 3\nUDP: inuse 0 mem 7\n";
        let expected = KernelMemory {
            slab_bytes: 102_400,
            stack_bytes: 16_384,
            page_table_bytes: 8_192,
            socket_bytes: Some(12_288),
        };
        assert_eq!(parse(memory, sockets, 4096), Some(expected));
        assert_eq!(parse(memory, "", 4096), Some(KernelMemory { socket_bytes: None, ..expected }));
        assert_eq!(parse("MemTotal: 9 kB\n", sockets, 4096), None);
    }

    #[test]
    fn growth_may_be_negative() {
        let before = KernelMemory {
            slab_bytes: 10,
            stack_bytes: 20,
            page_table_bytes: 30,
            socket_bytes: Some(40),
        };
        let after = KernelMemory { slab_bytes: 7, socket_bytes: None, ..before };
        let growth = after.since(&before);
        assert_eq!((growth.total_bytes(), growth.socket_bytes), (-3, None));
    }

    #[test]
    fn this_kernel_has_memory_of_its_own() {
        assert!(now().is_some_and(|memory| memory.slab_bytes > 0 && memory.stack_bytes > 0));
    }
}

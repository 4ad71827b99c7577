//! Tests that run with each engine.

/// Defines a test per engine for each function. If the kernel refuses an engine, its tests are
/// reported as skipped.
macro_rules! of_each_engine {
    ($($test:ident)*) => {
        mod epoll {
            $(#[test] fn $test() { super::$test(super::Engine::Epoll); })*
        }
        mod uring {
            $(#[test] fn $test() {
                let uring = super::Engine::Uring;
                match super::EngineChoice::Only(uring).resolve() {
                    Ok(_) => super::$test(uring),
                    Err(refused) => testkit::skip(stringify!($test), refused),
                }
            })*
        }
    };
}

/** One recipe of Curator: something that starts, lives through the loss of the leader, and is checked then. */
interface Recipe {
    /** Sets it up and proves that it works. */
    void begin() throws Exception;

    /** Proves that it still works, and that nothing was violated meanwhile. */
    void finish() throws Exception;

    /** Fails with `claim` unless it holds. */
    static void check(boolean holds, String claim) {
        if (!holds) {
            throw new AssertionError(claim);
        }
    }

    /** A condition that may throw while the connection is away. */
    interface Condition {
        boolean holds() throws Exception;
    }

    /** Waits until a condition holds, for half a minute at most. */
    static void await(String claim, Condition condition) throws Exception {
        long deadline = System.nanoTime() + 30_000_000_000L;
        while (!condition.holds()) {
            check(System.nanoTime() < deadline, "waited in vain: " + claim);
            Thread.sleep(10);
        }
    }
}

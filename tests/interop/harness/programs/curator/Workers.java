import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;

/** Threads that repeat a step until they are told to stop, and the first failure of any of them. */
final class Workers {
    /** One round of work. */
    interface Step {
        void run() throws Exception;
    }

    private final List<Thread> threads = new ArrayList<>();
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private volatile boolean stopping;

    void start(String name, Step step) {
        Thread thread = new Thread(() -> {
            try {
                while (!stopping) {
                    step.run();
                }
            } catch (Throwable thrown) {
                failure.compareAndSet(null, thrown);
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
        threads.add(thread);
    }

    /** Ends all of them; throws what one of them threw. */
    void stop() throws Exception {
        stopping = true;
        for (Thread thread : threads) {
            thread.join(30_000);
            Recipe.check(!thread.isAlive(), thread.getName() + " does not come to an end");
        }
        if (failure.get() != null) {
            throw new AssertionError("a worker failed", failure.get());
        }
    }
}

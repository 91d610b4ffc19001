import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;

/** Locks: while the sessions live, nobody is let in who must stay outside. */
final class Locks {
    private Locks() {}

    /** Rounds that must have been made before, and again after, the loss of the leader. */
    private static final int ROUNDS = 10;

    /** Threads inside a lock, and how often one was there. */
    private static final class Room {
        final AtomicInteger inside = new AtomicInteger();
        final AtomicInteger visits = new AtomicInteger();
        private final int places;

        Room(int places) {
            this.places = places;
        }

        void visit() throws Exception {
            Recipe.check(inside.incrementAndGet() <= places, "more than " + places + " inside a lock");
            Thread.sleep(1);
            inside.decrementAndGet();
            visits.incrementAndGet();
        }

        void awaitVisits() throws Exception {
            int seen = visits.get();
            Recipe.await("a lock is passed on", () -> visits.get() >= seen + ROUNDS);
        }
    }

    static Recipe mutex(CuratorFramework a, CuratorFramework b) {
        Room room = new Room(1);
        Workers workers = new Workers();
        return new Recipe() {
            @Override
            public void begin() throws Exception {
                for (CuratorFramework client : new CuratorFramework[] {a, b}) {
                    InterProcessMutex mutex = new InterProcessMutex(client, "/recipes/mutex");
                    workers.start("mutex", () -> {
                        Recipe.check(mutex.acquire(30, TimeUnit.SECONDS), "no turn at the mutex");
                        try {
                            room.visit();
                        } finally {
                            mutex.release();
                        }
                    });
                }
                room.awaitVisits();
            }

            @Override
            public void finish() throws Exception {
                room.awaitVisits();
                workers.stop();
            }
        };
    }

    static Recipe readWriteLock(CuratorFramework a, CuratorFramework b) {
        Room writing = new Room(1);
        AtomicInteger reading = new AtomicInteger();
        AtomicInteger reads = new AtomicInteger();
        Workers workers = new Workers();
        return new Recipe() {
            @Override
            public void begin() throws Exception {
                InterProcessReadWriteLock ours = new InterProcessReadWriteLock(a, "/recipes/rw");
                InterProcessReadWriteLock theirs = new InterProcessReadWriteLock(b, "/recipes/rw");
                workers.start("writer", () -> {
                    Recipe.check(ours.writeLock().acquire(30, TimeUnit.SECONDS), "no turn to write");
                    try {
                        Recipe.check(reading.get() == 0, "a writer beside a reader");
                        writing.visit();
                    } finally {
                        ours.writeLock().release();
                    }
                });
                workers.start("reader", () -> {
                    Recipe.check(theirs.readLock().acquire(30, TimeUnit.SECONDS), "no turn to read");
                    try {
                        reading.incrementAndGet();
                        Recipe.check(writing.inside.get() == 0, "a reader beside a writer");
                        Thread.sleep(1);
                        reading.decrementAndGet();
                        reads.incrementAndGet();
                    } finally {
                        theirs.readLock().release();
                    }
                });
                awaitTurns();
            }

            private void awaitTurns() throws Exception {
                int seen = reads.get();
                writing.awaitVisits();
                Recipe.await("a reader gets its turn", () -> reads.get() >= seen + ROUNDS);
            }

            @Override
            public void finish() throws Exception {
                awaitTurns();
                workers.stop();
            }
        };
    }

    static Recipe semaphore(CuratorFramework a, CuratorFramework b) {
        Room room = new Room(2);
        Workers workers = new Workers();
        return new Recipe() {
            @Override
            public void begin() throws Exception {
                for (CuratorFramework client : new CuratorFramework[] {a, b, a}) {
                    InterProcessSemaphoreV2 semaphore =
                        new InterProcessSemaphoreV2(client, "/recipes/semaphore", 2);
                    workers.start("semaphore", () -> {
                        Lease lease = semaphore.acquire(30, TimeUnit.SECONDS);
                        Recipe.check(lease != null, "no lease of the semaphore");
                        try {
                            room.visit();
                        } finally {
                            semaphore.returnLease(lease);
                        }
                    });
                }
                room.awaitVisits();
            }

            @Override
            public void finish() throws Exception {
                room.awaitVisits();
                workers.stop();
            }
        };
    }
}

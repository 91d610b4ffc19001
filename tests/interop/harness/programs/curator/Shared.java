import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.KeeperException;

/** What several clients do together: lead, wait for each other, hand over work, count. */
final class Shared {
    private Shared() {}

    static Recipe leaderLatch(CuratorFramework a, CuratorFramework b) {
        LeaderLatch ours = new LeaderLatch(a, "/recipes/latch", "a");
        LeaderLatch theirs = new LeaderLatch(b, "/recipes/latch", "b");
        return new Recipe() {
            @Override
            public void begin() throws Exception {
                ours.start();
                theirs.start();
                awaitOneLeader();
            }

            private void awaitOneLeader() throws Exception {
                Recipe.await("one of two leads", () -> ours.hasLeadership() != theirs.hasLeadership()
                    && ours.getParticipants().size() == 2);
            }

            @Override
            public void finish() throws Exception {
                awaitOneLeader();
                LeaderLatch leader = ours.hasLeadership() ? ours : theirs;
                LeaderLatch next = leader == ours ? theirs : ours;
                leader.close();
                Recipe.check(next.await(20, TimeUnit.SECONDS), "nobody follows the leader that left");
                next.close();
            }
        };
    }

    /** Both barriers are set before the loss of the leader and passed after it. */
    static Recipe barriers(CuratorFramework a, CuratorFramework b) {
        DistributedBarrier barrier = new DistributedBarrier(a, "/recipes/barrier");
        Workers waiting = new Workers();
        AtomicInteger passed = new AtomicInteger();
        return new Recipe() {
            @Override
            public void begin() throws Exception {
                barrier.setBarrier();
                DistributedBarrier theirs = new DistributedBarrier(b, "/recipes/barrier");
                waiting.start("barrier", () -> {
                    if (passed.get() == 0 && waits(theirs)) {
                        passed.incrementAndGet();
                    }
                    Thread.sleep(10);
                });
                Recipe.check(passed.get() == 0, "a barrier that is set lets somebody pass");
            }

            /** A connection lost while it waits shows as an exception: it waits again. */
            private boolean waits(DistributedBarrier theirs) throws Exception {
                try {
                    return theirs.waitOnBarrier(30, TimeUnit.SECONDS);
                } catch (KeeperException.ConnectionLossException lost) {
                    return false;
                }
            }

            @Override
            public void finish() throws Exception {
                Recipe.check(passed.get() == 0, "somebody passed the barrier before it was removed");
                barrier.removeBarrier();
                Recipe.await("the barrier opens", () -> passed.get() == 1);
                waiting.stop();
                Workers both = new Workers();
                AtomicInteger entered = new AtomicInteger();
                AtomicInteger left = new AtomicInteger();
                for (CuratorFramework client : new CuratorFramework[] {a, b}) {
                    both.start("double barrier", () -> {
                        if (Thread.currentThread().isInterrupted() || left.get() == 2) {
                            return;
                        }
                        DistributedDoubleBarrier meeting =
                            new DistributedDoubleBarrier(client, "/recipes/double", 2);
                        Recipe.check(meeting.enter(20, TimeUnit.SECONDS), "alone at the double barrier");
                        entered.incrementAndGet();
                        Recipe.check(meeting.leave(20, TimeUnit.SECONDS), "no way out of the barrier");
                        left.incrementAndGet();
                        Recipe.await("both left", () -> left.get() == 2);
                    });
                }
                Recipe.await("both come and go", () -> entered.get() == 2 && left.get() == 2);
                both.stop();
            }
        };
    }

    /** Every item put in comes out; an offer that is repeated after a lost reply may come out twice. */
    static Recipe queue(CuratorFramework a, CuratorFramework b) {
        Set<Integer> offered = new ConcurrentSkipListSet<>();
        Set<Integer> taken = new ConcurrentSkipListSet<>();
        AtomicInteger next = new AtomicInteger();
        Workers producer = new Workers();
        Workers consumer = new Workers();
        return new Recipe() {
            @Override
            public void begin() throws Exception {
                SimpleDistributedQueue in = new SimpleDistributedQueue(a, "/recipes/queue");
                SimpleDistributedQueue out = new SimpleDistributedQueue(b, "/recipes/queue");
                producer.start("producer", () -> {
                    int item = next.getAndIncrement();
                    byte[] bytes = Integer.toString(item).getBytes(StandardCharsets.UTF_8);
                    Recipe.check(in.offer(bytes), "an offer was refused");
                    offered.add(item);
                    Thread.sleep(2);
                });
                consumer.start("consumer", () -> {
                    byte[] bytes = out.poll(100, TimeUnit.MILLISECONDS);
                    if (bytes != null) {
                        taken.add(Integer.parseInt(new String(bytes, StandardCharsets.UTF_8)));
                    }
                });
                Recipe.await("items pass through the queue", () -> taken.size() >= 10);
            }

            @Override
            public void finish() throws Exception {
                int seen = taken.size();
                Recipe.await("items still pass through the queue", () -> taken.size() >= seen + 10);
                producer.stop();
                // An item taken by a delete whose reply was lost is gone: one such item per lost connection.
                Recipe.await("the queue runs empty", () ->
                    b.getChildren().forPath("/recipes/queue").isEmpty());
                consumer.stop();
                Set<Integer> missing = new TreeSet<>(offered);
                missing.removeAll(taken);
                Recipe.check(missing.size() <= 1, "items vanished from the queue: " + missing);
            }
        };
    }

    /** The counter is at least what was acknowledged, and at most what was tried. */
    static Recipe counter(CuratorFramework a, CuratorFramework b) {
        AtomicInteger tried = new AtomicInteger();
        AtomicInteger succeeded = new AtomicInteger();
        Workers workers = new Workers();
        return new Recipe() {
            @Override
            public void begin() throws Exception {
                for (CuratorFramework client : new CuratorFramework[] {a, b}) {
                    DistributedAtomicLong counter = new DistributedAtomicLong(
                        client, "/recipes/counter", new RetryNTimes(50, 5));
                    workers.start("counter", () -> {
                        tried.incrementAndGet();
                        try {
                            AtomicValue<Long> value = counter.increment();
                            if (value.succeeded()) {
                                succeeded.incrementAndGet();
                            }
                        } catch (KeeperException.ConnectionLossException lost) {
                            // Counted as tried: it may have happened.
                        }
                        Thread.sleep(2);
                    });
                }
                Recipe.await("the counter counts", () -> succeeded.get() >= 10);
            }

            @Override
            public void finish() throws Exception {
                int seen = succeeded.get();
                Recipe.await("the counter still counts", () -> succeeded.get() >= seen + 10);
                workers.stop();
                a.sync().forPath("/recipes/counter");
                long value = new DistributedAtomicLong(a, "/recipes/counter", new RetryNTimes(5, 5))
                    .get().postValue();
                Recipe.check(value >= succeeded.get() && value <= tried.get() * 2L,
                    "counter " + value + " after " + succeeded + " of " + tried + " increments");
            }
        };
    }
}

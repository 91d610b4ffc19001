import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;

/** What tells others that somebody is there, and shows them what there is. */
final class Presence {
    private Presence() {}

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** An ephemeral that comes back whenever somebody deletes it. */
    static Recipe persistentNode(CuratorFramework a, CuratorFramework b) {
        PersistentNode node =
            new PersistentNode(a, CreateMode.EPHEMERAL, false, "/recipes/node", bytes("here"));
        return new Recipe() {
            @Override
            public void begin() throws Exception {
                node.start();
                Recipe.check(node.waitForInitialCreate(20, TimeUnit.SECONDS), "the node was never created");
                comesBack();
            }

            private void comesBack() throws Exception {
                String path = node.getActualPath();
                Stat before = new Stat();
                b.sync().forPath(path);
                b.getData().storingStatIn(before).forPath(path);
                Recipe.check(before.getEphemeralOwner() != 0, "the node belongs to no session");
                b.delete().forPath(path);
                Recipe.await("a deleted node comes back", () -> {
                    Stat now = b.checkExists().forPath(path);
                    return now != null && now.getCzxid() > before.getCzxid();
                });
            }

            @Override
            public void finish() throws Exception {
                comesBack();
                node.close();
                Recipe.await("the node goes when it is closed", () ->
                    b.checkExists().forPath("/recipes/node") == null);
            }
        };
    }

    /** A cache over a subtree, kept by one persistent recursive watch. */
    static Recipe cache(CuratorFramework a, CuratorFramework b) {
        CuratorCache cache = CuratorCache.build(a, "/recipes/cache");
        return new Recipe() {
            @Override
            public void begin() throws Exception {
                b.create().creatingParentsIfNeeded().forPath("/recipes/cache/one/deep", bytes("1"));
                cache.start();
                awaitData("/recipes/cache/one/deep", "1");
                b.setData().forPath("/recipes/cache/one/deep", bytes("2"));
                awaitData("/recipes/cache/one/deep", "2");
                b.create().forPath("/recipes/cache/gone");
                awaitPresence("/recipes/cache/gone", true);
            }

            private void awaitData(String path, String data) throws Exception {
                Recipe.await(path + " is cached with data " + data, () ->
                    cache.get(path).map(ChildData::getData)
                        .filter(found -> new String(found, StandardCharsets.UTF_8).equals(data)).isPresent());
            }

            private void awaitPresence(String path, boolean present) throws Exception {
                Recipe.await(path + (present ? " is" : " is not") + " cached", () ->
                    cache.get(path).isPresent() == present);
            }

            @Override
            public void finish() throws Exception {
                b.setData().forPath("/recipes/cache/one/deep", bytes("3"));
                awaitData("/recipes/cache/one/deep", "3");
                b.create().forPath("/recipes/cache/one/deep/deeper", bytes("4"));
                awaitData("/recipes/cache/one/deep/deeper", "4");
                b.delete().forPath("/recipes/cache/gone");
                awaitPresence("/recipes/cache/gone", false);
                Recipe.check(cache.size() == 4, "the cache holds " + cache.size() + " znodes, not 4");
                cache.close();
            }
        };
    }

    /** A service instance, registered by one client and found by the other. */
    static Recipe discovery(CuratorFramework a, CuratorFramework b) throws Exception {
        ServiceInstance<Void> instance = ServiceInstance.<Void>builder()
            .name("curated").address("127.0.0.1").port(9).build();
        ServiceDiscovery<Void> ours = ServiceDiscoveryBuilder.builder(Void.class)
            .client(a).basePath("/services").thisInstance(instance).build();
        ServiceDiscovery<Void> theirs =
            ServiceDiscoveryBuilder.builder(Void.class).client(b).basePath("/services").build();
        ServiceProvider<Void> provider = theirs.serviceProviderBuilder().serviceName("curated").build();
        return new Recipe() {
            @Override
            public void begin() throws Exception {
                ours.start();
                theirs.start();
                provider.start();
                awaitFound();
            }

            private void awaitFound() throws Exception {
                Recipe.await("the instance is found", () -> {
                    ServiceInstance<Void> found = provider.getInstance();
                    return found != null && found.getId().equals(instance.getId()) && found.getPort() == 9;
                });
            }

            @Override
            public void finish() throws Exception {
                awaitFound();
                Recipe.check(theirs.queryForInstances("curated").size() == 1, "not one instance");
                ours.unregisterService(instance);
                Recipe.await("an instance that left is not found", () -> provider.getInstance() == null);
                provider.close();
                theirs.close();
                ours.close();
            }
        };
    }
}

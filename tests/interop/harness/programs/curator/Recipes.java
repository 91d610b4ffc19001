import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryNTimes;

/**
 * Every recipe of Curator in common use, by two clients, through whatever happens to the servers.
 *
 * <p>Usage: {@code Recipes HOSTS}. Says {@code begun NAME} for each recipe, {@code begun} when all are; reads a line;
 * says {@code ok NAME} for each recipe that still works, {@code ok} at the end. Exits 1 at the first that fails.
 */
final class Recipes {
    private Recipes() {}

    private static CuratorFramework connect(String hosts) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
            .connectString(hosts)
            .sessionTimeoutMs(10_000)
            .connectionTimeoutMs(5_000)
            .retryPolicy(new RetryNTimes(200, 50))
            .build();
        client.start();
        client.blockUntilConnected();
        return client;
    }

    private static Map<String, Recipe> all(CuratorFramework a, CuratorFramework b) throws Exception {
        Map<String, Recipe> recipes = new LinkedHashMap<>();
        recipes.put("leader latch", Shared.leaderLatch(a, b));
        recipes.put("mutex", Locks.mutex(a, b));
        recipes.put("read-write lock", Locks.readWriteLock(a, b));
        recipes.put("semaphore", Locks.semaphore(a, b));
        recipes.put("barriers", Shared.barriers(a, b));
        recipes.put("queue", Shared.queue(a, b));
        recipes.put("counter", Shared.counter(a, b));
        recipes.put("persistent node", Presence.persistentNode(a, b));
        recipes.put("cache", Presence.cache(a, b));
        recipes.put("service discovery", Presence.discovery(a, b));
        return recipes;
    }

    public static void main(String[] arguments) throws Exception {
        int code = 1;
        try (CuratorFramework a = connect(arguments[0]); CuratorFramework b = connect(arguments[0])) {
            Map<String, Recipe> recipes = all(a, b);
            for (Map.Entry<String, Recipe> recipe : recipes.entrySet()) {
                recipe.getValue().begin();
                System.out.println("begun " + recipe.getKey());
            }
            System.out.println("begun");
            new BufferedReader(new InputStreamReader(System.in)).readLine();
            for (Map.Entry<String, Recipe> recipe : recipes.entrySet()) {
                recipe.getValue().finish();
                System.out.println("ok " + recipe.getKey());
            }
            System.out.println("ok");
            code = 0;
        } catch (Throwable failure) {
            failure.printStackTrace();
        }
        System.exit(code);
    }
}

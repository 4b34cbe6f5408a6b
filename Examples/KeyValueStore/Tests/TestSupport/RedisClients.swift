import Foundation

/// A conversation through redis-cli, and what it shows.
public enum RedisCLI {
  private static let script = """
    SET greeting "hello world"
    GET greeting
    GET nothing
    LPUSH l a b c
    LRANGE l 0 -1
    HSET h one 1 two 2
    HGETALL h
    MULTI
    INCR n
    INCR n
    EXEC
    LPUSH greeting x
    TTL greeting
    DBSIZE
    """

  private static let shown = """
    OK
    hello world

    3
    c
    b
    a
    2
    one
    1
    two
    2
    OK
    QUEUED
    QUEUED
    1
    2
    WRONGTYPE Operation against a key holding the wrong kind of value

    -1
    4

    """

  /// Everything that redis-cli prints, errors included; the store is emptied first.
  public static func converse(port: Int, version: Int) throws -> String {
    let (status, output, errors) = try Tools.run(
      "redis-cli", ["-\(version)", "-p", "\(port)"], input: "FLUSHALL\n" + script + "\n")
    return output + errors + (status == 0 ? "" : "exit status \(status)\n")
  }

  /// redis-cli shows a map's keys and values side by side, an array's one below the other.
  public static func expected(version: Int) -> String {
    "OK\n"
      + (version == 2
        ? shown : shown.replacingOccurrences(of: "one\n1\ntwo\n2\n", with: "one 1\ntwo 2\n"))
  }
}

/// A conversation through redis-py, which says "fine" when every answer was right.
public enum RedisPy {
  private static let script = """
    import redis, sys
    # Before version 5 it speaks RESP2 only, and has no word for that.
    versions = ({"protocol": 2}, {"protocol": 3}) if redis.VERSION[0] >= 5 else ({},)
    for version in versions:
        r = redis.Redis(port=int(sys.argv[1]), decode_responses=True, **version)
        r.flushall()
        assert r.ping()
        assert r.set("a", "1") and r.get("a") == "1" and r.get("b") is None
        assert r.set("a", "2", nx=True) is None
        assert r.incr("a") == 2 and r.incrby("a", 5) == 7
        assert r.mset({"x": "1", "y": "2"}) and r.mget("x", "y", "z") == ["1", "2", None]
        assert r.rpush("l", "a", "b", "c") == 3 and r.lrange("l", 0, -1) == ["a", "b", "c"]
        assert r.lpop("l", 2) == ["a", "b"] and r.lpop("none") is None
        assert r.hset("h", mapping={"f": "1", "g": "2"}) == 2
        assert r.hgetall("h") == {"f": "1", "g": "2"}
        assert r.sadd("s", "m", "n") == 2 and r.smembers("s") == {"m", "n"}
        assert r.expire("a", 100) and 0 < r.ttl("a") <= 100 and r.persist("a")
        for i in range(200): r.set(f"key:{i}", i)
        assert sorted(r.scan_iter(match="key:*")) == sorted(f"key:{i}" for i in range(200))
        with r.pipeline(transaction=True) as p:
            p.incr("n").incr("n").hgetall("h").get("none")
            assert p.execute() == [1, 2, {"f": "1", "g": "2"}, None]
        with r.pipeline(transaction=False) as p:
            for i in range(1000): p.incr("m")
            p.get("m")
            assert p.execute()[-1] == "1000"
        try:
            r.lpush("a", "x")
            raise SystemExit("no error")
        except redis.ResponseError as e:
            assert str(e).startswith("WRONGTYPE"), e
        assert r.info()["role"] == "master" and r.config_get("save") == {"save": ""}
        assert r.client_setname("me") and r.client_getname() == "me"
        assert r.dbsize() == 208, r.dbsize()
    print("fine")
    """

  /// Everything that the script prints, errors included.
  public static func converse(port: Int) throws -> String {
    guard let python = Tools.pythonWithRedis else { return Tools.missingRedisPy }
    let (status, output, errors) = try Tools.run(python, ["-c", script, "\(port)"])
    return output + errors + (status == 0 ? "" : "exit status \(status)\n")
  }
}

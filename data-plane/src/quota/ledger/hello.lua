-- A node's sign of life. Keys: the shard's marker, the shard's set of nodes.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since = tonumber(redis.call('GET', KEYS[1]))
if not since then
  since = now
  redis.call('SET', KEYS[1], string.format('%.0f', now))
end
-- First what needs memory: once a script has written, Redis lets it go on without, and the node would not hear of it.
redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - tonumber(ARGV[2])))
return { now, since, redis.call('ZCARD', KEYS[2]) }

-- The rules of quota/rules.rs for one gauge. Keys: the gauge's hash, the shard's marker.
-- A field of the hash is a node: `taken:seq:until`.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local node, limit, seq = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local taken, want = tonumber(ARGV[4]), tonumber(ARGV[5])
local learning, lease = tonumber(ARGV[6]), tonumber(ARGV[7])

local since = tonumber(redis.call('GET', KEYS[2]))
if not since then
  since = now
  redis.call('SET', KEYS[2], string.format('%.0f', now))
end
local others = 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local t, s, u = string.match(fields[i + 1], '^(%d+):(%d+):(%d+)$')
  if fields[i] == node then
    if tonumber(s) >= seq then
      return { 3, 0 }
    end
  elseif tonumber(u) <= now then
    redis.call('HDEL', KEYS[1], fields[i])
  else
    others = others + tonumber(t)
  end
end
local is_learning = now < since + learning
local granted = 0
if not is_learning then
  granted = math.max(math.min(want, limit - others - taken), 0)
end
redis.call('HSET', KEYS[1], node, string.format('%.0f:%.0f:%.0f', taken + granted, seq, now + lease))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', lease * 2))
if is_learning and want > 0 then
  return { 2, since + learning - now }
end
return { 0, granted }

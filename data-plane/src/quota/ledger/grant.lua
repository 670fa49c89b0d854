-- The rules of quota/rules.rs for one counter. Keys: the counter's hash in its window, the shard's marker.
-- A field of the hash is a node: `net:seq:unspent`.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local node, window, epoch = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local limit, seq, net = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local unspent, need, want = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local learning = tonumber(ARGV[10])

local since = tonumber(redis.call('GET', KEYS[2]))
if not since then
  since = now
  redis.call('SET', KEYS[2], string.format('%.0f', now))
end
if math.floor(now / window) ~= epoch then
  return { 1, now, 0, 0, 0, 0, 0 }
end

local total, loose, nodes, known = 0, 0, 1, 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local n, s, u = string.match(fields[i + 1], '^(%d+):(%d+):(%d+)$')
  if fields[i] == node then
    known = tonumber(s)
  else
    total, loose, nodes = total + tonumber(n), loose + tonumber(u), nodes + 1
  end
end
if known >= seq then
  return { 3, now, 0, 0, 0, 0, 0 }
end

local granted = 0
local is_learning = epoch * window <= since and now < since + learning
if not is_learning then
  local left = limit - total - net
  if want > 0 and left > 0 and left >= need then
    local fair = math.floor(left / (2 * nodes))
    granted = math.min(math.max(math.min(want, fair), need, 1), left)
  end
end
redis.call('HSET', KEYS[1], node, string.format('%.0f:%.0f:%.0f', net + granted, seq, unspent + granted))
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', (epoch + 1) * window + 10000))
if is_learning then
  return { 2, now, since + learning - now, 0, 0, 0, 0 }
end
return { 0, now, granted, total + net + granted, loose, nodes, (epoch + 1) * window - now }

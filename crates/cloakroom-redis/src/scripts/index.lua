-- KEYS ids, until. ARGV id, wanted score in ms.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local dead = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now), 'LIMIT', 0, 200)
if #dead > 0 then
  redis.call('ZREM', KEYS[2], unpack(dead))
  redis.call('ZREM', KEYS[1], unpack(dead))
end
-- Always a score that this entry never had: a remover names the score that it knows, and must not
-- take away an entry that was made again since.
local score = tonumber(ARGV[2])
local known = redis.call('ZSCORE', KEYS[2], ARGV[1])
if known and tonumber(known) >= score then
  score = tonumber(known) + 1
end
local text = string.format('%.0f', score)
redis.call('ZADD', KEYS[2], text, ARGV[1])
redis.call('ZADD', KEYS[1], 0, ARGV[1])
local last = tonumber(redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2])
for i = 1, 2 do
  if last >= 4503599627370496 then
    redis.call('PERSIST', KEYS[i])
  else
    redis.call('PEXPIREAT', KEYS[i], string.format('%.0f', last))
  end
end
return {'I', ARGV[1], text}

-- KEYS ids, until. ARGV id, the score of the entry that may go.
local known = redis.call('ZSCORE', KEYS[2], ARGV[1])
if known and tonumber(known) == tonumber(ARGV[2]) then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return {'U', ARGV[1]}

-- KEYS index. ARGV id, the 8 bytes of the entry that may go.
local function number(member)
  local n = 0
  for i = 17, 24 do
    n = n * 256 + (string.byte(member, i) or 0)
  end
  return n
end

local entry = ARGV[1] .. ARGV[2]
redis.call('ZREM', KEYS[1], entry)
-- It may have been the one for whose sake the index never expired.
if number(entry) >= 4503599627370496 and redis.call('ZCARD', KEYS[1]) <= 1000 then
  local furthest = 0
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    furthest = math.max(furthest, number(member))
  end
  if furthest < 4503599627370496 then
    redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', furthest))
  end
end
return 'U' .. ARGV[1]

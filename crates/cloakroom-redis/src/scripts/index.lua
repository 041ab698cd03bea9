-- KEYS index. ARGV id, wanted time in ms. A member is an id and, in 8 bytes, until when it is kept.
local function number(member)
  local n = 0
  for i = 17, 24 do
    n = n * 256 + (string.byte(member, i) or 0)
  end
  return n
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
-- A few at random, as the server does with expired keys: at most a tenth of an index that is used is
-- dead, whatever its size.
for _, member in ipairs(redis.call('ZRANDMEMBER', KEYS[1], 10)) do
  if number(member) <= now then
    redis.call('ZREM', KEYS[1], member)
  end
end
-- Always a time that this entry never had: a remover names the one that it knows, and must not take
-- away an entry that was made again since.
local kept = tonumber(ARGV[2])
local last = '[' .. ARGV[1] .. '\255\255\255\255\255\255\255\255'
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], '[' .. ARGV[1], last)) do
  kept = math.max(kept, number(member) + 1)
  redis.call('ZREM', KEYS[1], member)
end
local known = redis.call('EXISTS', KEYS[1]) == 1
local left = redis.call('PTTL', KEYS[1])
local suffix, rest = '', kept
for _ = 1, 8 do
  suffix = string.char(rest % 256) .. suffix
  rest = math.floor(rest / 256)
end
redis.call('ZADD', KEYS[1], 0, ARGV[1] .. suffix)
-- From 2^52 on a time means never.
if kept >= 4503599627370496 then
  redis.call('PERSIST', KEYS[1])
elseif not known or (left >= 0 and now + left < kept) then
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', kept))
end
return 'I' .. ARGV[1] .. suffix

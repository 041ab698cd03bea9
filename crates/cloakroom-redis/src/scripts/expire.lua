-- KEYS row. ARGV id, the caller's now in ms, a fresh nonce, channel, the writer's own
-- channel or '', notice.
local old = redis.call('GET', KEYS[1])
if not old or old == '' or string.sub(old, 1, 4) == 'CR\1E' then
  return 'G' .. ARGV[1]
end
local function number(from, to)
  local n = 0
  for i = from, to do
    n = n * 256 + string.byte(old, i)
  end
  return n
end
if #old < 77 or string.sub(old, 1, 4) ~= 'CR\1L' or string.sub(old, 5, 20) ~= ARGV[1]
  or #old ~= 77 + string.byte(old, 69) + number(70, 73) + number(74, 77) then
  return 'V' .. ARGV[1] .. old
end
-- Milliseconds are below 2^53, so a double holds them; "never" is greater than any of them.
local time = redis.call('TIME')
local now = math.min(tonumber(ARGV[2]), tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
if number(45, 52) > now then
  return 'G' .. ARGV[1]
end
local version, carry = '', 1
for i = 28, 21, -1 do
  local byte = string.byte(old, i) + carry
  carry = byte == 256 and 1 or 0
  version = string.char(byte % 256) .. version
end
local head = 78 + string.byte(old, 69)
local tombstone = 'CR\1E' .. ARGV[1] .. version .. ARGV[3] .. string.sub(old, 37, 60)
  .. '\0\0\0\0\0\0\0\0\0' .. string.sub(old, 70, 73) .. '\0\0\0\0'
  .. string.sub(old, head, head + number(70, 73) - 1)
local told = tell(ARGV[4], ARGV[5], ARGV[6])
redis.call('SET', KEYS[1], tombstone, 'KEEPTTL')
return 'D' .. ARGV[1] .. told .. old

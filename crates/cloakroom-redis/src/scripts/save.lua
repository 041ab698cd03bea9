-- KEYS row. ARGV id, value, expected stamp, expires_at in ms or '', channel, the writer's own channel
-- or '', '1' if the value names an index entry that was just made.
-- 64-bit numbers stay bytes: a Lua number is a double and would round them.
local function later(a, b)
  for i = 1, 8 do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x > y
    end
  end
  return false
end

local old = redis.call('GETRANGE', KEYS[1], 0, 331)
if old == '' then
  return 'G' .. ARGV[1]
end
if #old < 77 or string.sub(old, 1, 4) ~= 'CR\1L' or string.sub(old, 21, 36) ~= ARGV[3] then
  return 'V' .. ARGV[1] .. redis.call('GET', KEYS[1])
end
local value = ARGV[2]
local had = string.sub(old, 78, 77 + string.byte(old, 69))
local has = string.sub(value, 78, 77 + string.byte(value, 69))
local indexed = string.sub(old, 61, 68)
if has ~= '' and ARGV[7] == '' then
  local needed = string.sub(value, 53, 60)
  if needed == '\255\255\255\255\255\255\255\255' then
    needed = '\0\16\0\0\0\0\0\0'
  end
  if has ~= had or later(needed, indexed) then
    return 'I' .. ARGV[1]
  end
  value = string.sub(value, 1, 60) .. indexed .. string.sub(value, 69)
end
local told = tell(ARGV[5], ARGV[6], 'S' .. string.sub(value, 5, 36))
if ARGV[4] == '' then
  redis.call('SET', KEYS[1], value)
else
  redis.call('SET', KEYS[1], value, 'PXAT', ARGV[4])
end
if had == has then
  had = ''
end
return 'S' .. ARGV[1] .. told .. indexed .. had

-- KEYS row. ARGV id, expected stamp, used_at + deadline + expires_at as 24 bytes, expires_at in ms
-- or '', the index entry's time as 8 bytes if one was just made, else ''. Publishes nothing.
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
if #old < 77 or string.sub(old, 1, 3) ~= 'CR\1' or string.sub(old, 4, 4) ~= 'L' then
  return 'V' .. ARGV[1] .. string.sub(old, 1, 77)
end
if string.sub(old, 21, 36) ~= ARGV[2] then
  return 'V' .. ARGV[1] .. string.sub(old, 1, 77)
end
local times = ''
for i = 0, 2 do
  local was, now = string.sub(old, 37 + 8 * i, 44 + 8 * i), string.sub(ARGV[3], 1 + 8 * i, 8 + 8 * i)
  times = times .. (later(now, was) and now or was)
end
local was, expires = string.sub(old, 53, 60), string.sub(times, 17, 24)
local indexed = ARGV[5]
local owner = string.sub(old, 78, 77 + string.byte(old, 69))
if indexed == '' then
  indexed = string.sub(old, 61, 68)
  if owner ~= '' then
    local needed = expires
    if needed == '\255\255\255\255\255\255\255\255' then
      needed = '\0\16\0\0\0\0\0\0'
    end
    if later(needed, indexed) then
      return 'I' .. ARGV[1] .. owner
    end
  end
end
redis.call('SETRANGE', KEYS[1], 36, times .. indexed)
if later(expires, was) then
  if ARGV[4] == '' then
    redis.call('PERSIST', KEYS[1])
  else
    redis.call('PEXPIREAT', KEYS[1], ARGV[4])
  end
end
return 'T' .. ARGV[1]

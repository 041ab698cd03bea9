-- KEYS row. ARGV id, tombstone or '', expires_at in ms or '', channel, the writer's own
-- channel or '', notice.
local old = redis.call('GET', KEYS[1])
if not old or old == '' then
  return 'G' .. ARGV[1]
end
if string.sub(old, 1, 4) == 'CR\1E' then
  if ARGV[2] == '' then
    redis.call('DEL', KEYS[1])
  end
  return 'G' .. ARGV[1]
end
-- A row that cannot be read is left for somebody who can.
local function number(from)
  local n = 0
  for i = from, from + 3 do
    n = n * 256 + string.byte(old, i)
  end
  return n
end
if #old < 77 or string.sub(old, 1, 4) ~= 'CR\1L' or string.sub(old, 5, 20) ~= ARGV[1]
  or #old ~= 77 + string.byte(old, 69) + number(70) + number(74) then
  return 'V' .. ARGV[1] .. old
end
local told = tell(ARGV[4], ARGV[5], ARGV[6])
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
elseif ARGV[3] == '' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
end
return 'D' .. ARGV[1] .. told .. old

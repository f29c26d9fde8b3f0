-- A 429, or a pause that a service asks for. KEYS: the state. ARGV: kind, 1 to count a 429, microseconds of the pause, and
-- in tests a reading.
local now = steady(ARGV[4])
if ARGV[2] == '1' then
  redis.call('HINCRBY', state, 'limited:' .. ARGV[1], 1)
end
if tonumber(ARGV[3]) > 0 then
  local held = tonumber(redis.call('HGET', state, 'held:' .. ARGV[1]) or 0)
  redis.call('HSET', state, 'held:' .. ARGV[1], text(math.max(held, now + ARGV[3])))
end
return 1

-- Tokens. KEYS: the state. ARGV: member, its epoch or '' for direct calls, horizon, how many shared tokens, rate, burst,
-- the longest horizon, and in tests a reading or ''; then for each kind: name, how many of its own tokens, its rate or ''.
-- The rules are those of topaz_status.testing.sharing.shared_bucket, in the same arithmetic.
-- Answers: whether the epoch is in force, the reading, until the next shared slot, the shared slots; and for each kind:
-- its rate or '', until its next slot, until the end of its hold, the count of 429s, its slots.
local MOST = 1000
local me, epoch, wanted, latest = ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[7])
local now, reading = steady(ARGV[8] ~= '' and ARGV[8] or nil)
local ahead = now + ARGV[3]

if epoch ~= '' and not in_force(epoch, me, now) then
  return {0, text(reading)}
end

local function field(name)
  return tonumber(redis.call('HGET', state, name) or nil)
end

local function interval(rate)
  return math.max(1, math.ceil(1000000 / rate))
end

if epoch ~= '' then
  redis.call('HSET', state, 'rate', ARGV[5], 'burst', ARGV[6])
  for at = 9, #ARGV, 3 do
    if ARGV[at + 2] == '' then
      redis.call('HDEL', state, 'rate:' .. ARGV[at])
    else
      redis.call('HSET', state, 'rate:' .. ARGV[at], ARGV[at + 2])
    end
  end
end

local has_terms = redis.call('HEXISTS', state, 'rate') == 1
local rate = has_terms and field('rate') or tonumber(ARGV[5])
local burst = has_terms and field('burst') or tonumber(ARGV[6])
local each = interval(rate)
local saved = math.floor((burst - 1) * 1000000 / rate)
local full_at = math.min(field('full_at') or (now + saved), now + saved + each + latest)
local slots = {}
while #slots < math.min(wanted, MOST) do
  local slot = math.max(now, full_at - saved)
  if slot > ahead then
    break
  end
  slots[#slots + 1] = slot - now
  full_at = math.max(full_at, slot) + each
end
redis.call('HSET', state, 'full_at', text(full_at))
local answer = {1, text(reading), math.max(now, full_at - saved) - now, slots}

for at = 9, #ARGV, 3 do
  local kind, count = ARGV[at], tonumber(ARGV[at + 1])
  local its_rate = has_terms and redis.call('HGET', state, 'rate:' .. kind) or (not has_terms and ARGV[at + 2]) or ''
  local held = field('held:' .. kind) or 0
  local gap, free_at = 0, 0
  if its_rate ~= '' then
    gap = interval(tonumber(its_rate))
    free_at = math.min(field('free:' .. kind) or 0, now + gap + latest)
  end
  local own = {}
  local slot = math.max(now, free_at, held)
  while #own < math.min(count, MOST) and slot <= ahead do
    own[#own + 1] = slot - now
    if gap > 0 then
      free_at = slot + gap
      slot = math.max(now, free_at, held)
    end
  end
  if gap > 0 and #own > 0 then
    redis.call('HSET', state, 'free:' .. kind, text(free_at))
  end
  answer[#answer + 1] = {its_rate, slot - now, math.max(0, held - now), field('limited:' .. kind) or 0, own}
end
return answer

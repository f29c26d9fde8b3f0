-- A sign of life. KEYS: the state, the members. ARGV: member, ttl, what it wants, its priority, the highest epoch it has
-- seen, what it tells of itself, the beginning of the channels' names or '' for no probe, and in tests a reading.
-- Answers: the reading, the holder or '', the epoch, what is left of the lease, whether it was taken from another, whether
-- this member is heard; then each member's text.
local members, me, wants, seen = KEYS[2], ARGV[1], ARGV[3], tonumber(ARGV[5])
local priority, channels = tonumber(ARGV[4]), ARGV[7]
local now, reading = steady(ARGV[8])
local ends = now + ARGV[2]

local function listens(member)
  if channels == '' then
    return false
  end
  local answer = redis.pcall('PUBSUB', 'NUMSUB', channels .. member)
  return not answer.err and answer[2] > 0
end

if wants == 'leave' then
  redis.call('HDEL', members, me)
else
  redis.call('HSET', members, me, text(ends) .. ':' .. ARGV[6])
end
redis.call('PEXPIRE', members, DAY)

local heard = listens(me)
local holder, expires, its_priority, was_heard = lease(now)
local epoch = epoch_of()
if epoch < seen then
  epoch, holder = seen, nil
end
local deposed = 0
local takes = wants == 'stand'
if holder and holder ~= me and takes then
  takes = its_priority < priority or (was_heard and not listens(holder))
  deposed = takes and 1 or 0
elseif holder == me and not takes then
  holder = nil
end
if takes then
  if holder ~= me then
    epoch = math.max(epoch + 1, math.floor(now / 1000))
  end
  holder, expires = me, ends
  redis.call('HSET', state, 'holder', me, 'until', text(ends), 'priority', priority, 'heard', heard and 1 or 0)
elseif not holder then
  redis.call('HDEL', state, 'holder')
end
redis.call('HSET', state, 'epoch', text(epoch))

local answer = {
  text(reading), holder or '', text(epoch), text(holder and expires - now or 0), deposed, heard and 1 or 0,
}
local all = redis.call('HGETALL', members)
for at = 1, #all, 2 do
  local colon = string.find(all[at + 1], ':', 1, true)
  if tonumber(string.sub(all[at + 1], 1, colon - 1)) > now then
    answer[#answer + 1] = string.sub(all[at + 1], colon + 1)
  else
    redis.call('HDEL', members, all[at])
  end
end
return answer

-- Every script begins with this file. KEYS[1] is a hash with all that an account holds but members, mail and saved
-- texts. Times are whole microseconds, which doubles hold exactly; they are written as decimal text.

local DAY = 86400000
local state = KEYS[1]

local function text(number)
  return string.format('%.0f', number)
end

-- The server's clock without its steps back: while it stands behind an earlier reading, the difference is added.
-- Tests alone pass a reading.
local function steady(reading)
  if not reading then
    local time = redis.call('TIME')
    reading = time[1] * 1000000 + time[2]
  end
  local had = redis.call('HMGET', state, 'seen', 'added')
  local seen, added = tonumber(had[1]) or 0, tonumber(had[2]) or 0
  local now = tonumber(reading) + added
  if now < seen then
    added = added + seen - now
    now = seen
  end
  redis.call('HSET', state, 'seen', text(now), 'added', text(added))
  redis.call('PEXPIRE', state, DAY)
  return now, tonumber(reading)
end

-- The lease in force: holder, end, priority, and whether the holder was heard; nothing without one.
local function lease(now)
  local had = redis.call('HMGET', state, 'holder', 'until', 'priority', 'heard')
  local ends = tonumber(had[2]) or 0
  if had[1] and ends > now then
    return had[1], ends, tonumber(had[3]), had[4] == '1'
  end
end

local function epoch_of()
  return tonumber(redis.call('HGET', state, 'epoch') or 0)
end

-- Whether a member leads in an epoch.
local function in_force(epoch, member, now)
  return lease(now) == member and epoch_of() == tonumber(epoch)
end

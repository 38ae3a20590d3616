-- The clock, and the plain way of a batch, which nearly all batches take: updates of stored series that are added up,
-- by a writer that the state knows, with nothing unusual in any key. At anything else nothing has been written yet, and
-- apply.lua follows, which does all that this does, and the rest. Its header says what the keys and arguments are.
--
-- It is written for speed. A function takes time to define, and more with each local name that it uses from outside, so
-- there are few, and they use none but each other.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now_text = string.format('%013d', now)

-- A number of a line, as plainly written text, with an amount added; nil if it is not written plainly. Other numbers
-- are printed as number_text does it.
local function plus(word, amount)
  if not amount or #word > 24 or string.byte(word, -1) == 46 then return nil end -- 46 is the point
  local total = word + amount
  if total % 1 == 0 and total < 1e15 and total > -1e15 then return string.format('%d', total) end
  if total - total ~= 0 then return nil end
  local text = string.format('%.15g', total)
  return tonumber(text) == total and text or string.format('%.17g', total)
end

-- These return the updated line and the age of the stored one, or nothing if something is unusual: a number that is not
-- written plainly, a line that is damaged or has expired, a delta of another form.

local function counter_line(line, delta, life_ms, now, now_text)
  local value, created, touched = string.match(line, '^(%d+%.?%d*)( %d+ )(%d+)$')
  if not value or #created ~= 15 or #touched ~= 13 or now - touched > life_ms then return nil end
  local text = plus(value, delta == '1 1.0' and 1 or tonumber(string.match(delta, '^1 (%S+)$')))
  if text then return text .. created .. now_text, now - touched end
end

-- A gauge that is added up, or a summary.
local function short_line(line, delta, life_ms, now, now_text, shape)
  local before, value, after, created, touched, added = '', nil, '', nil, nil, nil
  if shape == 'fiii' then
    added = string.match(delta, '^1 (%S+)$')
    value, after, created, touched = string.match(line, '^(%-?%d+%.?%d*)( %-?%d+ %-?%d+ %-?%d+)( %d+ )(%d+)$')
    if #(after or '') > 18 then return nil end -- so each has few digits
  else
    local more
    more, added = string.match(delta, '^1 (%d+)%.?0* 2 (%S+)$')
    before, value, created, touched = string.match(line, '^(%d+) (%-?%d+%.?%d*)( %d+ )(%d+)$')
    if not more or not value or #more > 14 or #before > 14 then return nil end
    before = string.format('%d ', before + more)
  end
  if not value or not added or #created ~= 15 or #touched ~= 13 or now - touched > life_ms then return nil end
  local text = plus(value, tonumber(added))
  if text then return before .. text .. after .. created .. now_text, now - touched end
end

local function histogram_line(line, delta, life_ms, now, now_text, bounds)
  local rep = string.rep
  local amount, index, more = string.match(delta, '^1 (%S+) (%d+) (%d+)%.?0*$')
  if not amount then -- several buckets
    local others
    amount, others = string.match(delta, '^1 (%S+)( .*)$')
    if not amount or string.gsub(others, ' (%d+) (%d+)%.?0*', '') ~= '' then return nil end
    local form = '^(%-?%d+%.?%d*)' .. rep(' %d+', bounds) .. '()( %d+ )(%d+)$'
    local sum, counts, created, touched = string.match(line, form)
    if not sum or #created ~= 15 or #touched ~= 13 or now - touched > life_ms then return nil end
    local words = {}
    for word in string.gmatch(string.sub(line, 1, counts - 1), '%S+') do
      if #words > 0 and #word > 14 then return nil end
      words[#words + 1] = word
    end
    words[1] = plus(sum, tonumber(amount))
    if not words[1] then return nil end
    for place, count in string.gmatch(others, ' (%d+) (%d+)') do
      place = tonumber(place)
      if #count > 14 or place < 2 or place > bounds + 1 then return nil end
      words[place] = string.format('%d', words[place] + count)
    end
    return table.concat(words, ' ') .. created .. now_text, now - touched
  end
  index = tonumber(index)
  if #more > 14 or index < 2 or index > bounds + 1 then return nil end
  local sum, before, count, after, created, touched = string.match(line, '^(%-?%d+%.?%d*)(' .. rep(' %d+', index - 2)
    .. ' )(%d+)(' .. rep(' %d+', bounds + 1 - index) .. ' )(%d+ )(%d+)$')
  if not sum or #count > 14 or #created ~= 14 or #touched ~= 13 or now - touched > life_ms then return nil end
  -- No count has over 15 digits if all of them together have few. Else each is looked at.
  if #before > 2 * index + 11 and string.find(before, rep('%d', 16)) then return nil end
  if #after > 2 * (bounds - index) + 17 and string.find(after, rep('%d', 16)) then return nil end
  local text = plus(sum, tonumber(amount))
  if text then
    return text .. before .. string.format('%d', count + more) .. after .. created .. now_text, now - touched
  end
end

repeat
  local call, try, find, match, sub = redis.call, redis.pcall, string.find, string.match, string.sub
  local sequence, life_ms, first, last = ARGV[1], tonumber(ARGV[2]), 6, #ARGV
  if ARGV[4] ~= '' or find(ARGV[5], ' ', 1, true) then break end
  local record = try('GET', KEYS[1])
  if type(record) ~= 'string' then break end
  local number, copy, rest, created, uncounted, told_batches, told_state =
    match(record, '^(%d+) (%d+)( %d+ (%d+) (%-?%d+) )(%d+) (%S.*)$')
  if not number or number ~= copy or #number > 15 or number + 1 ~= tonumber(sequence) or #created ~= 13 then break end

  -- The state, and the entries of the families. Their fields are in their keys, which begin like that of the index.
  local name_from = #KEYS[2]
  local keys = #KEYS
  -- A table with room is not copied while it grows.
  local fields, is_plain = { 'incarnation', 'batches', 'recovery', nil, nil, nil, nil, nil }, keys > 3 and keys < 1000
  for i = 4, keys do
    local key = KEYS[i]
    is_plain = is_plain and key ~= KEYS[3]
    fields[i] = sub(key, name_from, -18) .. ' ' .. sub(key, -16)
  end
  if not is_plain then break end
  local stored = try('HMGET', KEYS[2], unpack(fields, 1, keys))
  local batches, recovery = stored[2], stored[3] or ''
  if stored.err or not stored[1] then break end
  if told_state ~= (recovery == '' and stored[1] or stored[1] .. ' ' .. recovery) then break end
  if not batches or #batches > 14 or not find(batches, '^%d+$') or batches - told_batches < 0 then break end
  if recovery ~= '' and find(recovery, stored[1], 1, true) then break end

  local texts, lines, family = { nil, nil, nil, nil, nil, nil }, { nil, nil, nil, nil, nil, nil }, 4
  local span_age_ms = now % math.min(life_ms / 8, 60000)
  while first <= last do
    local head, key, series = ARGV[first], KEYS[family], 1
    local shape = head
    if find(head, ' ', 1, true) then
      shape, series = match(head, '^(%S+) (%d+)$')
      if not shape then break end
      series = tonumber(series)
    end
    local update, more = counter_line, nil
    if shape == 'fiii' or shape == 'wa' then
      update, more = short_line, shape
    elseif shape ~= 'g' then
      update, more = histogram_line, tonumber(match(shape, '^a(%d+)$'))
      if not more then break end
    end
    local entry = stored[family]
    if not key or not entry then break end

    -- The entry is what an instance announced, see is_intact.
    local _, opened, second = find(entry, '^%d+ ()%d+ {')
    if opened ~= 29 or second ~= 15 then break end
    local check = sub(entry, -10, -3)
    if redis.sha1hex then check = sub(redis.sha1hex(fields[family] .. sub(entry, 29, -23)), 1, 8) end
    if sub(entry, -22) ~= ', "check": "' .. check .. '"}' or find(check, '%X') then break end

    local after = first + 1 + 2 * series
    if after > last + 1 then break end
    if series == 1 then
      local field = ARGV[first + 1]
      local line = try('HGET', key, field)
      if type(line) ~= 'string' then break end
      local text, age = update(line, ARGV[first + 2], life_ms, now, now_text, more)
      if not text or age < 0 or age > span_age_ms then break end
      texts[family], lines[family] = field, text
    else
      local words = {}
      for i = 1, series do words[i] = ARGV[first + 2 * i - 1] end
      local found = series < 1000 and try('HMGET', key, unpack(words))
      if not found or found.err then break end
      for i = series, 1, -1 do
        local text, age = update(found[i] or '', ARGV[first + 2 * i], life_ms, now, now_text, more)
        is_plain = text and age >= 0 and age <= span_age_ms
        if not is_plain then break end
        words[2 * i - 1], words[2 * i] = words[i], text
      end
      if not is_plain then break end
      texts[family] = words
    end
    first = after
    family = family + 1
  end
  if first <= last or family <= keys then break end

  local next_batches = string.format('%d', batches + 1)
  call('HSET', KEYS[2], 'batches', next_batches)
  record = sequence .. ' ' .. sequence .. rest .. next_batches .. ' ' .. told_state
  local reply = try('SET', KEYS[1], record, 'PX', ARGV[3])
  if reply.err then
    call('HSET', KEYS[2], 'batches', batches)
    return reply
  end
  for i = 4, keys do
    if lines[i] then
      call('HSET', KEYS[i], texts[i], lines[i])
    else
      call('HSET', KEYS[i], unpack(texts[i]))
    end
  end
  local applied = string.format('%d', next_batches - uncounted)
  local added = try('HSET', KEYS[3], 'outcome="applied"', applied .. ' ' .. created .. ' ' .. now_text)
  if added == 1 then call('PEXPIRE', KEYS[3], life_ms + math.min(life_ms / 8, 60000)) end -- the server had evicted it
  return { 'applied', stored[1] .. ' ' .. next_batches }
until true
